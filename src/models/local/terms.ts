/**
 * From text to the terms that are compared: lower case, without accents, without the commonest words, with English
 * endings cut. The stemmer is a short one of our own: endings of plurals and verbs only, because a wrong stem costs more
 * than a missing one in collections of this size.
 */

const stopWords = new Set(
  (
    'a about above after again all also an and any are as at be because been before being below between both but by can ' +
    'could did do does during each few for from further had has have having he her here hers him his how i if in into is it ' +
    'its itself just me more most my no nor not now of off on once only or other our out over own same she should so some ' +
    'such than that the their them then there these they this those through to too under until up very was we were what ' +
    'when where which while who whom why will with would you your must may many much'
  ).split(' '),
);

/** Terms of a text in their order, with repetitions. Numbers and codes such as `E07` are terms. */
export function termsOf(text: string): string[] {
  const words = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  return (words.match(/\d+(?:[.,:-]\d+)*|[\p{L}\p{N}]+/gu) ?? []).filter((word) => !stopWords.has(word)).map(stem);
}

/** The word without the endings of English plurals and verbs. */
export function stem(word: string): string {
  if (word.length <= 3 || /\d/.test(word)) return word;
  const plural = word
    .replace(/ies$/, 'y')
    .replace(/(ss|sh|ch|x)es$/, '$1')
    .replace(/([^su])s$/, '$1');
  const verb = plural.replace(/(?<=[aeiouy].*)(ing|ed)$/, '');
  if (verb === plural || verb.length < 3) return plural.replace(/(?<=...)e$/, '');
  return verb.replace(/([bdfgmnprt])\1$/, '$1').replace(/(?<=...)e$/, '');
}
