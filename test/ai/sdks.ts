/** The AI SDK in the two versions that there are. */
import * as ai6 from 'ai';
import * as ai7 from 'ai7';

/** Both take what the tests use of them in the same way; the types of one stand for both. */
export const sdks = { 6: ai6, 7: ai7 as unknown as typeof ai6 };

/** One of them. */
export type SdkVersion = keyof typeof sdks;
