/** Who is asking. Your own session goes here. */
export function userOf(request: Request): string | null {
  return request.headers.get('x-user');
}
