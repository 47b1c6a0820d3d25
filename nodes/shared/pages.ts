/** Pages that messages send people to. */
const DOCS = 'https://github.com/code-interpreter-n8n/n8n-nodes-code-interpreter/blob/main/docs';

export const PACKAGES_PAGE = `${DOCS}/libraries.md`;
