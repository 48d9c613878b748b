type Timed = { readonly atMs: number; readonly order: number; readonly run: () => void };

/** Virtual time: events in the order of their instant, then of their making. Total, repeatable. */
export class Clock {
  nowMs = 0;
  events = 0;
  readonly #heap: Timed[] = [];
  #order = 0;

  after(delayMs: number, run: () => void): void {
    const timed = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order, run };
    this.#order += 1;
    const heap = this.#heap;
    heap.push(timed);
    let at = heap.length - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!this.#before(at, up)) break;
      this.#swap(at, up);
      at = up;
    }
  }

  /** Runs the next event that is due by `untilMs`; false when there is none. */
  advance(untilMs: number): boolean {
    const next = this.#heap[0];
    if (next === undefined || next.atMs > untilMs) {
      this.nowMs = Math.max(this.nowMs, untilMs);
      return false;
    }
    this.#removeFirst();
    this.nowMs = next.atMs;
    this.events += 1;
    next.run();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#before(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x === undefined || y === undefined) return false;
    return x.atMs === y.atMs ? x.order < y.order : x.atMs < y.atMs;
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x === undefined || y === undefined) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }
}

/** Something that runs on its own: a process, a kernel. What is due while it is stopped waits. */
export class Strand {
  alive = true;
  readonly #clock: Clock;
  readonly #stoppedBy = new Set<string>();
  #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get running(): boolean {
    return this.alive && this.#stoppedBy.size === 0;
  }

  after(delayMs: number, run: () => void): void {
    this.#clock.after(delayMs, () => this.deliver(run));
  }

  /** Runs it now, after the strand goes on again, or never when it has ended. */
  deliver(run: () => void): void {
    if (!this.alive) return;
    if (this.#stoppedBy.size > 0) this.#waiting.push(run);
    else run();
  }

  every(periodMs: number, run: () => void): void {
    this.after(periodMs, () => {
      run();
      this.every(periodMs, run);
    });
  }

  stop(by: string): void {
    this.#stoppedBy.add(by);
  }

  go(by: string): void {
    this.#stoppedBy.delete(by);
    while (this.running) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
    }
  }

  kill(): void {
    this.alive = false;
    this.#waiting = [];
  }
}
