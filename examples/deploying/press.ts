/** The outside of the example: what the workflows ask for, and what the test looks at. It remembers every request. */
export const requests: string[] = [];

export function outline(topic: string): string {
  requests.push(`outline ${topic}`);
  return `outline of ${topic}`;
}

export function draft(topic: string): string {
  requests.push(`draft ${topic}`);
  return `a draft on ${topic}`;
}

export function spellcheck(text: string): string {
  requests.push(`spellcheck ${text}`);
  return text;
}

export function illustrate(text: string): string {
  requests.push(`illustrate ${text}`);
  return `${text}, with a picture`;
}

export function publish(text: string): string {
  requests.push(`publish ${text}`);
  return `published: ${text}`;
}
