import { describe, expect, it } from 'vitest';
import { TypedEvent } from '../../../orchestrator/src/common/typed-event.js';

describe('a typed event', () => {
  it('is heard by every listener, in the order in which they came', () => {
    const event = new TypedEvent<number>();
    const heard: string[] = [];
    event.on((value) => heard.push(`a${value}`));
    event.on((value) => heard.push(`b${value}`));
    event.emit(1);
    event.emit(2);
    expect(heard).toEqual(['a1', 'b1', 'a2', 'b2']);
  });

  it('is not heard any more by a listener that was taken off', () => {
    const event = new TypedEvent<void>();
    let count = 0;
    const listener = (): void => void (count += 1);
    const off = event.on(listener);
    event.on(listener);
    off();
    off();
    event.emit();
    expect(count).toBe(1);
  });

  it('lets a listener take itself off, and another come, while it is told', () => {
    const event = new TypedEvent<void>();
    const heard: string[] = [];
    const off = event.on(() => {
      heard.push('once');
      off();
      event.on(() => heard.push('late'));
    });
    event.on(() => heard.push('always'));
    event.emit();
    expect(heard).toEqual(['once', 'always']);
    event.emit();
    expect(heard).toEqual(['once', 'always', 'always', 'late']);
  });

  it('reaches the others when one listener throws, and throws then', () => {
    const event = new TypedEvent<void>();
    const heard: string[] = [];
    event.on(() => {
      throw new Error('first');
    });
    event.on(() => heard.push('second'));
    expect(() => event.emit()).toThrow('first');
    event.on(() => {
      throw new Error('third');
    });
    expect(() => event.emit()).toThrow(AggregateError);
    expect(heard).toEqual(['second', 'second']);
  });
});
