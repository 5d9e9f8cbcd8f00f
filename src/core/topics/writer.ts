/** The single writer of a topic: whoever has taken it over last. Its epoch goes with each event, so that older ones are fenced. */

/** Entries of writers: key = topic, ref empty, value = JSON of `TopicWriter`. */
export const topicWriterSpace = 'topic-writer';

export interface TopicWriter {
  /** 1 for the first; rises by one each time that the topic is taken over. */
  readonly epoch: number;
  /** Who has taken it over. */
  readonly by: string;
  /** Epoch ms. */
  readonly at: number;
}

/** The attribute of events that says under which epoch they were written. */
export const writerEpochAttribute = 'writerepoch';
