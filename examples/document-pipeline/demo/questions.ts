/** The questions of the demo: those for its own documents, or ones made of the headings of another folder. */

/** Questions on the documents that come with the example; most need a tool or two. */
const ownQuestions: readonly string[] = [
  'How long can the generator run on a full tank?',
  'How many days passed between the last two recoatings of the primary mirror?',
  'At what mean wind must the dome be closed, and what is that in miles per hour?',
  'What does ODM mean, and how many litres of oxygen does a full green bottle hold?',
  'How much data do the telescopes write in a year of observing nights?',
  'What must be done first when the oxygen alarm sounds?',
];

const questionsMax = 5;

/** The questions to ask: as given, else the demo's own, else made of headings. At least one. */
export function questionsFor(
  given: readonly string[],
  builtIn: boolean,
  headings: readonly string[],
): readonly string[] {
  if (given.length > 0) return given;
  if (builtIn) return ownQuestions;
  const made = [...new Set(headings)].filter((heading) => /\p{L}{3}/u.test(heading));
  // Spread over the documents rather than taken from the first one.
  const step = Math.max(1, Math.floor(made.length / questionsMax));
  const chosen = made.filter((_, i) => i % step === 0).slice(0, questionsMax);
  return chosen.length === 0
    ? ['What are these documents about?']
    : chosen.map((heading) => `What do the documents say about ${heading.slice(0, 200)}?`);
}
