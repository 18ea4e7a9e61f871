/** What one walk through an UPDATE remembers between its attributes. One instance serves all scans of a thread. */

/** An attribute's place in the message, for those that can only be judged once all are known. */
export class Place {
  found = false;
  flags = 0;
  start = 0;
  end = 0;

  set(flags: number, start: number, end: number): void {
    this.found = true;
    this.flags = flags;
    this.start = start;
    this.end = end;
  }
}

export class ScanState {
  /** The scan in which each type code was last seen. */
  readonly seen = new Uint32Array(256);
  generation = 0;
  /** Classic NLRI are there, so NEXT_HOP means something. */
  hasNlri = false;
  /** MP_REACH_NLRI holds octets where NLRI stand, whether or not we speak its family. */
  hasMpNlri = false;
  /** Some error wants treat-as-withdraw; the first one's subcode and octets, should it become a reset. */
  withdraw = false;
  errorSubcode = 0;
  errorStart = 0;
  errorEnd = 0;
  /** On sessions with two-octet AS numbers. */
  readonly asPath = new Place();
  readonly as4Path = new Place();
  readonly aggregator = new Place();
  readonly as4Aggregator = new Place();

  begin(): void {
    if (this.generation === 0xffff_ffff) {
      this.seen.fill(0);
      this.generation = 0;
    }
    this.generation++;
    this.hasNlri = false;
    this.hasMpNlri = false;
    this.withdraw = false;
    this.asPath.found = false;
    this.as4Path.found = false;
    this.aggregator.found = false;
    this.as4Aggregator.found = false;
  }

  has(code: number): boolean {
    return this.seen[code] === this.generation;
  }
}
