// Opens the store that a place names: the URL of a PostgreSQL, or a file.
import { openPostgresStore } from '../../../dist/stores/postgres/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';

export const openStore = (place) =>
  place.startsWith('postgres:') ? openPostgresStore({ url: place }) : sqlite({ file: place }).open();
