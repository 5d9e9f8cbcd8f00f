/**
 * A reader of the text format of Prometheus 0.0.4, for tests: strict where scrapers are lenient, so that what it takes
 * every scraper takes. Written from the description of the format, not from our writer.
 */

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*/;

/** Parses a whole exposition. Throws with the number of the line that is wrong. */
export function parsePrometheus(text: string): Map<string, ParsedFamily> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, { name: string; type: string; help: string; samples: ParsedSample[] }>();
  const seen = new Set<string>();
  let open: { name: string; type: string; help: string; samples: ParsedSample[] } | null = null;
  for (const [i, line] of text.split('\n').slice(0, -1).entries()) {
    const fault = (says: string): Error => new Error(`line ${i + 1}: ${says}: ${line}`);
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\n]*)$/.exec(line);
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (gauge|counter)$/.exec(line);
    if (help !== null) {
      const name = help[1] ?? '';
      if (families.has(name)) throw fault('a family is told of twice');
      open = { name, type: '', help: unescape(help[2] ?? '', fault), samples: [] };
      families.set(name, open);
    } else if (type !== null) {
      if (open === null || type[1] !== open.name) throw fault('a type without its help');
      if (open.type !== '' || open.samples.length > 0) throw fault('a type that comes too late');
      open.type = type[2] ?? '';
    } else {
      const sample = parseSample(line, fault);
      if (open === null || open.type === '' || sample.name !== open.name) throw fault('a sample outside of its family');
      const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
      if (seen.has(key)) throw fault('a sample that was there before');
      seen.add(key);
      open.samples.push(sample);
    }
  }
  return families;
}

type Fault = (says: string) => Error;

function parseSample(line: string, fault: Fault): ParsedSample {
  const name = metricName.exec(line)?.[0];
  if (name === undefined) throw fault('no name');
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const label = labelName.exec(rest)?.[0];
      if (label === undefined || label.startsWith('__')) throw fault('no label name');
      if (Object.hasOwn(labels, label)) throw fault('a label twice');
      const value = /^="((?:[^"\\\n]|\\[^\n])*)"/.exec(rest.slice(label.length));
      if (value === null) throw fault('no label value');
      labels[label] = unescape(value[1] ?? '', fault);
      rest = rest.slice(label.length + value[0].length);
      if (rest.startsWith(',')) rest = rest.slice(1);
      else if (!rest.startsWith('}')) throw fault('something between labels');
    }
    rest = rest.slice(1);
  }
  const number = /^ ([+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Inf)|NaN)$/.exec(rest)?.[1];
  if (number === undefined) throw fault('no value');
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) };
}

function unescape(text: string, fault: Fault): string {
  return text.replace(/\\([^\n]?)/g, (_, escaped: string) => {
    if (escaped === 'n') return '\n';
    if (escaped === '\\' || escaped === '"') return escaped;
    throw fault('an escape that does not exist');
  });
}
