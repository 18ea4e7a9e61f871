/** Writes docs/config.schema.json from the code that checks configurations. */

import { writeFileSync } from 'node:fs';
import { jsonSchemaText } from '../src/app/config/jsonSchema.js';

writeFileSync('docs/config.schema.json', jsonSchemaText());
