/** Looks at what running sandboxes use of the CPUs, and lets those that use much give way to those that do not. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { CpuCgroup } from './cpu-cgroup.js';
import {
  ceilingCpus,
  computes,
  cpusWhileGivingWay,
  FRESH_SHARE,
  nextShare,
  price,
  type Share,
} from './fair-share.js';

/** Milliseconds between two looks. */
const LOOK_MS = 250;
/** How long room is kept for whoever wanted to compute, in milliseconds: most people run more than one line. */
const ROOM_MS = 2_000;
/** Of /proc/stat; the same on all hosts. */
const MS_PER_TICK = 10;

export interface HostCpus {
  readonly count: number;
  /** CPU time of all sandboxes in milliseconds; `undefined` where the host hides it. */
  usedMs(): number | undefined;
  /** Time in which CPUs had nothing to do, in milliseconds. */
  idleMs(): number;
}

/** This host; `usedMs` as the parent cgroup of all sandboxes tells it. */
export function hostCpus(usedMs: () => number | undefined): HostCpus {
  const idleMs = () => {
    const [, , , , idle = 0, waiting = 0] = readFileSync('/proc/stat', 'utf8').split(/\s+/, 6).map(Number);
    return (idle + waiting) * MS_PER_TICK;
  };
  return { count: cpus().length, usedMs, idleMs };
}

interface Member {
  readonly cgroup: CpuCgroup;
  /** As of the last look. */
  totalMs: number;
  seenAt: number;
  /** Between the last two looks. */
  usedMs: number;
  elapsedMs: number;
  share: Share;
}

export class CpuFairness {
  private readonly members = new Map<string, Member>();
  private readonly host: HostCpus;
  private readonly refused: () => void;
  private last = { usedMs: 0, idleMs: 0, at: 0 };
  /** CPUs that the host has for sandboxes. */
  private available: number;
  private roomUntil = 0;
  /** CPUs that each of those who give way may use now; `undefined` as long as nobody else wants to. */
  private limit: number | undefined;
  private timer: NodeJS.Timeout | undefined;

  /** `refused` is called when a weight cannot be set although the sandbox runs. */
  constructor(host: HostCpus, refused: () => void) {
    this.host = host;
    this.refused = refused;
    this.available = ceilingCpus(host.count);
  }

  /** From now on `id` counts; it begins with full credit and weight, whatever an earlier server left it with. */
  add(id: string, cgroup: CpuCgroup, now = performance.now()): void {
    if (!cgroup.giveWay(false)) this.refused();
    cgroup.limit();
    const totalMs = cgroup.usedMs() ?? 0;
    this.members.set(id, { cgroup, totalMs, seenAt: now, usedMs: 0, elapsedMs: 0, share: FRESH_SHARE });
    this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  remove(id: string): void {
    this.members.delete(id);
    if (this.members.size === 0) this.close();
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.members.clear();
  }

  /** `id` is about to compute: those that give way make room at once. */
  wants(id: string, now = performance.now()): void {
    const member = this.members.get(id);
    if (member === undefined || member.share.givesWay) return;
    this.roomUntil = now + ROOM_MS;
    this.makeRoom(now);
  }

  /** One look at all of them; at one number only while nobody computes and nobody gives way. */
  look(now = performance.now()): void {
    const usedMs = this.host.usedMs();
    const elapsedMs = now - this.last.at;
    const isQuiet = usedMs !== undefined && !computes(usedMs - this.last.usedMs, elapsedMs);
    const idleMs = this.host.idleMs();
    const idleCpus = (idleMs - this.last.idleMs) / elapsedMs;
    this.last = { usedMs: usedMs ?? 0, idleMs, at: now };
    if (isQuiet && this.givingWay().length === 0) return;
    for (const member of this.members.values()) this.measure(member, now);
    this.estimate(idleCpus);
    for (const member of this.members.values()) this.judge(member, now);
    this.makeRoom(now);
  }

  private measure(member: Member, now: number): void {
    const totalMs = member.cgroup.usedMs() ?? member.totalMs;
    member.usedMs = totalMs - member.totalMs;
    member.elapsedMs = Math.max(1, now - member.seenAt);
    member.totalMs = totalMs;
    member.seenAt = now;
  }

  /** What sandboxes leave because of a limit of ours others may take, so it counts as available then. */
  private estimate(idleCpus: number): void {
    let used = 0;
    for (const { usedMs, elapsedMs } of this.members.values()) used += usedMs / elapsedMs;
    const seen = Math.min(ceilingCpus(this.host.count), used + Math.max(0, idleCpus));
    this.available = this.limit === undefined ? seen : Math.max(seen, this.available);
  }

  private judge(member: Member, now: number): void {
    const { cgroup, usedMs, elapsedMs, share } = member;
    const { givesWay } = share;
    member.share = nextShare(share, usedMs, elapsedMs, price(this.available, this.host.count));
    if (!member.share.givesWay && computes(usedMs, elapsedMs)) this.roomUntil = now + ROOM_MS;
    if (member.share.givesWay === givesWay) return;
    if (!cgroup.giveWay(!givesWay) && cgroup.usedMs() !== undefined) this.refused();
    // What holds for the others now is set for it too.
    if (givesWay) cgroup.limit();
    else this.limit = undefined;
  }

  private givingWay(): readonly Member[] {
    return [...this.members.values()].filter(({ share }) => share.givesWay);
  }

  private makeRoom(now: number): void {
    const members = this.givingWay();
    const isWanted = members.length > 0 && now < this.roomUntil;
    const limit = isWanted ? cpusWhileGivingWay(this.available, this.host.count, members.length) : undefined;
    if (limit === this.limit) return;
    this.limit = limit;
    for (const { cgroup } of members) cgroup.limit(limit);
  }
}
