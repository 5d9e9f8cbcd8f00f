import { createElement as h, StrictMode } from 'react';
import { hydrateRoot } from 'react-dom/client';
import { LetterPage } from './view.js';
import { ReviewPage } from './review-view.js';

const root = document.querySelector('#root');
if (root !== null) {
  hydrateRoot(root, h(StrictMode, null, h(location.pathname === '/' ? LetterPage : ReviewPage)), {
    onRecoverableError: (error) => console.error('hydration', error),
  });
}
