/** Where the secrets come from that sign deliveries: rows hold them sealed, callbacks have derived ones. */
import { Injectable } from '@nestjs/common';
import { SecretBox } from '../../auth/secret-box.js';
import { newSigningSecret, secretHintOf, secretOf } from './signature.js';

/** What the row of an endpoint holds of its secrets. */
export interface SealedSecrets {
  readonly id: string;
  readonly secret: string;
  readonly previousSecret: string | null;
  readonly previousSecretUntil: Date | null;
}

@Injectable()
export class SigningSecrets {
  constructor(private readonly box: SecretBox) {}

  /** A new secret for an endpoint: for its owner, and for its row. */
  create(endpointId: string): { signingSecret: string; secret: string; secretHint: string } {
    const signingSecret = newSigningSecret();
    return {
      signingSecret,
      secret: this.box.seal(endpointId, signingSecret),
      secretHint: secretHintOf(signingSecret),
    };
  }

  /** Those that sign at this moment, the newest first. */
  ofEndpoint(row: SealedSecrets, now: Date): string[] {
    const current = this.box.open(row.id, row.secret);
    const { previousSecret, previousSecretUntil } = row;
    if (previousSecret === null || previousSecretUntil === null || previousSecretUntil <= now)
      return [current];
    return [current, this.box.open(row.id, previousSecret)];
  }

  /** Of a project, for the callback URLs of its responses. A new version makes another one. */
  ofCallbacks(projectId: string, version: number): string {
    return secretOf(this.box.derive(`callback:${projectId}:${version}`));
  }
}
