/** The model: that of `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL`, or the built-in one, which needs neither key nor network. */
import { type LanguageModel, localModel, openaiCompatible } from 'eventspine/models';

const { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: model = 'gpt-4o-mini' } = process.env;

export const provider: LanguageModel =
  baseUrl === undefined && apiKey === undefined
    ? localModel({ wordPause: '150ms' })
    : openaiCompatible({
        baseUrl: baseUrl ?? 'https://api.openai.com/v1',
        model,
        ...(apiKey === undefined ? {} : { apiKey }),
      });
