import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePrometheus } from './prometheus-parser.test.fake.js';
import { type MetricFamily, prometheusText } from './prometheus-text.js';

const nasty = 'a"b\\c\nd{e="f"} 1 # ü\t';

describe('prometheusText', () => {
  it('writes help and type before the samples', () => {
    const family: MetricFamily = {
      name: 'things_total',
      type: 'counter',
      help: 'Things\nof \\ all.',
      samples: [
        { labels: {}, value: 3 },
        { labels: { kind: nasty, size: '1' }, value: 0.5 },
      ],
    };
    expect(prometheusText([family])).toBe(
      [
        '# HELP things_total Things\\nof \\\\ all.',
        '# TYPE things_total counter',
        'things_total 3',
        'things_total{kind="a\\"b\\\\c\\nd{e=\\"f\\"} 1 # ü\t",size="1"} 0.5',
        '',
      ].join('\n'),
    );
  });

  it('leaves out a family without samples', () => {
    expect(prometheusText([{ name: 'a', type: 'gauge', help: 'A.', samples: [] }])).toBe('');
  });

  it('is read back as it was, whatever labels and numbers hold', () => {
    const label = fc.oneof(
      fc.string(),
      fc.constantFrom(nasty, '\r', '\u2028', '\\n', '\\'),
      fc.string({ unit: 'binary' }),
    );
    const value = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Infinity, -Infinity, NaN));
    const samples = fc.uniqueArray(fc.record({ labels: fc.record({ queue: label, state: label }), value }), {
      selector: ({ labels }) => JSON.stringify(labels),
      minLength: 1,
    });
    fc.assert(
      fc.property(samples, label, (given, help) => {
        const families: MetricFamily[] = [{ name: 'eventspine_x', type: 'gauge', help, samples: given }];
        const read = parsePrometheus(prometheusText(families)).get('eventspine_x');
        expect(read?.help).toBe(help);
        expect(read?.samples.map(({ labels }) => labels)).toEqual(given.map(({ labels }) => labels));
        read?.samples.forEach(({ value: found }, i) => {
          const sent = given[i]?.value ?? Number.NaN;
          expect(found === sent || (Number.isNaN(found) && Number.isNaN(sent))).toBe(true);
        });
      }),
    );
  });
});

describe('the parser of these tests', () => {
  it.each([
    ['a 1', 'outside'],
    ['# HELP a A.\n# TYPE a gauge\na 1', 'no end'],
    ['# HELP a A.\n# TYPE a gauge\na 1\na 1\n', 'before'],
    ['# HELP a A.\n# TYPE a gauge\na{b="c} 1\n', 'label value'],
    ['# HELP a A.\n# TYPE a gauge\na{b="\\c"} 1\n', 'escape'],
    ['# HELP a A.\n# TYPE a gauge\na{b="1",b="2"} 1\n', 'twice'],
    ['# HELP a A.\n# TYPE a gauge\na one\n', 'no value'],
    ['# TYPE a gauge\na 1\n', 'without its help'],
  ])('refuses %j', (text, says) => {
    expect(() => parsePrometheus(text.endsWith('\n') || says === 'no end' ? text : `${text}\n`)).toThrow(says);
  });
});
