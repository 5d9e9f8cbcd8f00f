import { createElement as h, StrictMode } from 'react';
import { hydrateRoot } from 'react-dom/client';
import { LetterPage } from './view.js';

const root = document.querySelector('#root');
if (root !== null) {
  hydrateRoot(root, h(StrictMode, null, h(LetterPage)), {
    onRecoverableError: (error) => console.error('hydration', error),
  });
}
