/** Every bound of recordings: of memory, of files, of the disk. */
export interface RecordingLimits {
  /** what may wait for the disk in this process: of one recording, and of all together */
  readonly queueBytes: number;
  readonly totalQueueBytes: number;
  /** what waits is written so late at most, and in writes of about so many bytes */
  readonly flushEveryMs: number;
  readonly batchBytes: number;
  /** a recording goes on in another file at this size */
  readonly fileBytes: number;
  /** the oldest go: those of this age, and while a user's are larger than this together */
  readonly maxAgeMs: number;
  readonly userBytes: number;
  readonly tidyEveryMs: number;
  /** at the end, for a disk that hangs */
  readonly closeWithinMs: number;
}

export const defaultRecordingLimits: RecordingLimits = {
  queueBytes: 4 * 1024 * 1024,
  totalQueueBytes: 64 * 1024 * 1024,
  flushEveryMs: 1_000,
  batchBytes: 256 * 1024,
  fileBytes: 64 * 1024 * 1024,
  maxAgeMs: 30 * 24 * 3_600_000,
  userBytes: 1024 * 1024 * 1024,
  tidyEveryMs: 3_600_000,
  closeWithinMs: 2_000,
};
