/**
 * Groups of consumers of the fake broker, by the classic protocol: members join, the first of them shares out, all learn what
 * is theirs. A member that is not heard for its session is out, and the others share out anew.
 */
import { randomUUID } from 'node:crypto';
import { codes } from './codes.js';

export interface JoinRequest {
  readonly memberId: string;
  readonly clientId: string;
  readonly sessionMs: number;
  readonly rebalanceMs: number;
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

export interface JoinAnswer {
  readonly error: number;
  readonly generation: number;
  readonly protocol: string | null;
  readonly leader: string;
  readonly memberId: string;
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

interface Member {
  readonly id: string;
  readonly clientId: string;
  sessionMs: number;
  rebalanceMs: number;
  protocols: JoinRequest['protocols'];
  assignment: Buffer;
  joining: ((answer: JoinAnswer) => void) | null;
  syncing: ((answer: { error: number; assignment: Buffer }) => void) | null;
  expiry: NodeJS.Timeout | null;
}

export class FakeGroup {
  readonly #members = new Map<string, Member>();
  #generation = 0;
  #leader = '';
  #protocol: string | null = null;
  #state: 'empty' | 'joining' | 'sharing' | 'stable' = 'empty';
  #joinEnds: NodeJS.Timeout | null = null;
  /** Offsets that were committed, by `topic/partition`. */
  readonly offsets = new Map<string, bigint>();

  get memberCount(): number {
    return this.#members.size;
  }

  has(memberId: string, generation: number): number {
    if (!this.#members.has(memberId)) return codes.unknownMemberId;
    return generation === this.#generation ? codes.none : codes.illegalGeneration;
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    if (request.memberId === '')
      return Promise.resolve(this.#refusal(codes.memberIdRequired, `${request.clientId}-${randomUUID()}`));
    const known = this.#members.get(request.memberId);
    const member: Member = known ?? {
      id: request.memberId,
      clientId: request.clientId,
      sessionMs: request.sessionMs,
      rebalanceMs: request.rebalanceMs,
      protocols: request.protocols,
      assignment: Buffer.alloc(0),
      joining: null,
      syncing: null,
      expiry: null,
    };
    member.protocols = request.protocols;
    member.joining?.(this.#refusal(codes.rebalanceInProgress, member.id));
    this.#members.set(member.id, member);
    this.#stir(member);
    this.#state = 'joining';
    const answered = new Promise<JoinAnswer>((resolve) => (member.joining = resolve));
    this.#completeJoin();
    return answered;
  }

  sync(
    memberId: string,
    generation: number,
    assignments: ReadonlyMap<string, Buffer>,
  ): Promise<{ error: number; assignment: Buffer }> {
    const error = this.has(memberId, generation);
    const member = this.#members.get(memberId);
    if (error !== codes.none || member === undefined) return Promise.resolve({ error, assignment: Buffer.alloc(0) });
    this.#stir(member);
    if (this.#state === 'joining')
      return Promise.resolve({ error: codes.rebalanceInProgress, assignment: Buffer.alloc(0) });
    if (memberId === this.#leader && this.#state === 'sharing') {
      for (const [id, assignment] of assignments) {
        const found = this.#members.get(id);
        if (found !== undefined) found.assignment = assignment;
      }
      this.#state = 'stable';
      for (const waiting of this.#members.values()) {
        waiting.syncing?.({ error: codes.none, assignment: waiting.assignment });
        waiting.syncing = null;
      }
    }
    if (this.#state === 'stable') return Promise.resolve({ error: codes.none, assignment: member.assignment });
    return new Promise((resolve) => (member.syncing = resolve));
  }

  heartbeat(memberId: string, generation: number): number {
    const error = this.has(memberId, generation);
    const member = this.#members.get(memberId);
    if (error !== codes.none || member === undefined) return error;
    this.#stir(member);
    return this.#state === 'joining' ? codes.rebalanceInProgress : codes.none;
  }

  leave(memberId: string): void {
    const member = this.#members.get(memberId);
    if (member === undefined) return;
    if (member.expiry !== null) clearTimeout(member.expiry);
    member.joining?.(this.#refusal(codes.unknownMemberId, memberId));
    member.syncing?.({ error: codes.unknownMemberId, assignment: Buffer.alloc(0) });
    this.#members.delete(memberId);
    if (this.#members.size === 0) this.#state = 'empty';
    else this.#beginJoin();
  }

  /** Puts out the members of a client at once, as the end of their session would. */
  expire(clientId: string): void {
    for (const member of this.#members.values()) if (member.clientId === clientId) this.leave(member.id);
  }

  close(): void {
    if (this.#joinEnds !== null) clearTimeout(this.#joinEnds);
    for (const member of this.#members.values()) if (member.expiry !== null) clearTimeout(member.expiry);
  }

  #beginJoin(): void {
    this.#state = 'joining';
    this.#completeJoin();
    if (this.#state !== 'joining' || this.#joinEnds !== null) return;
    // Who does not come back in its time is out.
    const waitMs = Math.max(...[...this.#members.values()].map(({ rebalanceMs }) => rebalanceMs));
    this.#joinEnds = setTimeout(() => {
      this.#joinEnds = null;
      for (const member of this.#members.values()) if (member.joining === null) this.leave(member.id);
    }, waitMs);
  }

  #completeJoin(): void {
    const members = [...this.#members.values()];
    if (members.length === 0 || members.some(({ joining }) => joining === null)) return;
    if (this.#joinEnds !== null) clearTimeout(this.#joinEnds);
    this.#joinEnds = null;
    this.#generation += 1;
    this.#state = 'sharing';
    this.#leader = this.#members.has(this.#leader) ? this.#leader : (members[0]?.id ?? '');
    const names = members[0]?.protocols.map(({ name }) => name) ?? [];
    this.#protocol = names.find((name) => members.every((one) => one.protocols.some((p) => p.name === name))) ?? null;
    for (const member of members) {
      const { joining } = member;
      member.joining = null;
      joining?.({
        error: this.#protocol === null ? codes.inconsistentGroupProtocol : codes.none,
        generation: this.#generation,
        protocol: this.#protocol,
        leader: this.#leader,
        memberId: member.id,
        members:
          member.id === this.#leader
            ? members.map(({ id, protocols }) => ({
                memberId: id,
                metadata: protocols.find(({ name }) => name === this.#protocol)?.metadata ?? Buffer.alloc(0),
              }))
            : [],
      });
    }
  }

  #stir(member: Member): void {
    if (member.expiry !== null) clearTimeout(member.expiry);
    member.expiry = setTimeout(() => this.leave(member.id), member.sessionMs);
    member.expiry.unref();
  }

  #refusal(error: number, memberId: string): JoinAnswer {
    return { error, generation: -1, protocol: null, leader: '', memberId, members: [] };
  }
}
