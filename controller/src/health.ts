import type { LeaderStatus } from './leader.ts';
import type { TermStats } from './controller.ts';

/** What `/readyz` asks. A process is ready when it can serve the API: Redis answers, and the engine was found. */
export class Health {
  private engineProblem: string | null = 'the Docker engine has not answered yet';
  private redisProblem: string | null = 'Redis has not answered yet';
  private vaultProblem: string | null = null;
  private draining = false;
  private leaderOf: () => LeaderStatus = () => ({ leads: false, holder: '', sinceMs: null });
  private termOf: () => TermStats | null = () => null;

  engine(problem: string | null): void {
    this.engineProblem = problem;
  }

  redis(problem: string | null): void {
    this.redisProblem = problem;
  }

  /** It hinders nothing but what is in the vault. */
  vault(problem: string | null): void {
    this.vaultProblem = problem;
  }

  drain(): void {
    this.draining = true;
  }

  watch(leader: () => LeaderStatus, term: () => TermStats | null): void {
    this.leaderOf = leader;
    this.termOf = term;
  }

  ready(): { ok: boolean; reasons: string[]; warnings: string[] } {
    const reasons = [this.redisProblem, this.engineProblem, this.draining ? 'it is shutting down' : null];
    const given = reasons.filter((reason) => reason !== null);
    const warnings = this.vaultProblem === null ? [] : [this.vaultProblem];
    return { ok: given.length === 0, reasons: given, warnings };
  }

  leader(): { leads: boolean; holder: string; term: TermStats | null } {
    const { leads, holder } = this.leaderOf();
    return { leads, holder, term: this.termOf() };
  }
}
