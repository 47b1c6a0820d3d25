/** A model of the server that plays scripts, and answers by rules without one; see test/fakes/model-endpoint. */
export const MODEL = 'loop';

/** The credential in n8n that all tests share. */
export const CREDENTIAL = 'Code Interpreter API';
