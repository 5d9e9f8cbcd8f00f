export interface Kcat {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly source: string;
}

export interface NoKcat {
  readonly program: null;
  readonly reason: string;
}

export function kcatProgram(): Kcat | NoKcat;
