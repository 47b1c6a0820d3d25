/** What breaks a server and what is its own. See loop.ts. */
import { faultLoop } from './loop.js';

faultLoop('server');
