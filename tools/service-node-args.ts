/** How Node is to run the API and the relay: see src/heap.ts. */
export const SERVICE_NODE_ARGS = ['--max-semi-space-size=8'];
