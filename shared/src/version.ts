import spoonbox from '../../package.json' with { type: 'json' };

/** Of this Spoonbox: what a controller, a gateway and the command tell each other, so that a skew is seen. */
export const version: string = spoonbox.version;
