const maxCloseReasonBytes = 123;

/** As much of a message as a close frame has room for (RFC 6455, 5.5). */
export function shortened(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= maxCloseReasonBytes) return message;
  // A character that was cut in half is left out.
  return `${bytes
    .subarray(0, maxCloseReasonBytes - 3)
    .toString()
    .replace(/\uFFFD+$/, '')}…`;
}
