/** What a work directory holds beside the homes. Nothing else in there is Spoonbox's but files whose names begin with a dot. */
export const recordingsFolder = 'recordings';
/** directories that an operator had thrown away, until they are removed */
export const trashFolder = '.spoonbox-trash';
