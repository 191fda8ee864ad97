/** Whether a program that spoke English says that it found no room on the disk: the system's own words for it, the same everywhere. */
export const saysDiskFull = (stderr: string): boolean => /No space left on device|Disk quota exceeded/.test(stderr);
