/**
 * How far the feed has come: the position of its newest event, or what `expire` wrote down before it took that event
 * away. To write it down with each commit would cost a page of the log each time.
 */
export const feedHeadSql = `SELECT max(value, coalesce((SELECT max(position) FROM event), 0))
  FROM meta WHERE key = 'feed_head'`;
