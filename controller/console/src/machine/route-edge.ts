/** Measures of a drawing, in pixels. Along: from lane to lane. Across: within a lane. */
export interface Metrics {
  /** of a state: along the lanes' order, and along a lane */
  readonly along: number;
  readonly across: number;
  readonly laneGap: number;
  readonly stateGap: number;
  /** between edges that run past lanes */
  readonly trackGap: number;
  readonly margin: number;
  readonly title: number;
}

/** Where a state is. */
export interface Place {
  readonly lane: number;
  readonly along: number;
  readonly across: number;
}

/** A corner of an edge. */
export type Pair = readonly [along: number, across: number];

export interface Tracks {
  /** of the track to this state, from the inside out, beginning with 1 */
  number(side: 'before' | 'after', to: string): number;
  /** what all tracks of a side take */
  depth(side: 'before' | 'after'): number;
  /** across, of the end of the deepest lane */
  readonly deepest: number;
}

/** Edges that run past lanes do so on tracks before or after all states; those to one state share one. */
export function createTracks(deepest: number, { trackGap }: Metrics): Tracks {
  const taken = { before: new Map<string, number>(), after: new Map<string, number>() };
  return {
    deepest,
    number(side, to) {
      const known = taken[side].get(to);
      if (known !== undefined) return known;
      taken[side].set(to, taken[side].size + 1);
      return taken[side].size;
    },
    depth: (side) => (taken[side].size + 1) * trackGap,
  };
}

/** From border to border. Forward edges leave and arrive above the middle of a state, others below it. */
export function routeEdge(
  edge: { readonly from: Place; readonly to: Place; readonly target: string },
  tracks: Tracks,
  metrics: Metrics,
): readonly Pair[] {
  const { from, to } = edge;
  if (from.lane === to.lane) return besideLane(from, to, metrics);
  const { along, across, laneGap } = metrics;
  const isForward = to.lane > from.lane;
  const port = across * (isForward ? 0.34 : 0.66);
  const [start, end] = isForward ? [from.along + along, to.along] : [from.along, to.along + along];
  const [startAcross, endAcross] = [from.across + port, to.across + port];
  if (Math.abs(to.lane - from.lane) === 1) {
    const middle = (start + end) / 2 + (isForward ? 1 : -1) * 5;
    return [
      [start, startAcross],
      [middle, startAcross],
      [middle, endAcross],
      [end, endAcross],
    ];
  }
  const sign = isForward ? 1 : -1;
  const number = tracks.number(isForward ? 'before' : 'after', edge.target);
  const track = isForward
    ? -(number * metrics.trackGap) - metrics.title
    : tracks.deepest + number * metrics.trackGap + 4;
  const bend = sign * laneGap * (0.16 + 0.05 * number);
  return [
    [start, startAcross],
    [start + bend, startAcross],
    [start + bend, track],
    [end - bend, track],
    [end - bend, endAcross],
    [end, endAcross],
  ];
}

/** Down a lane on its far side, up on its near one; the longer, the further out. */
function besideLane(from: Place, to: Place, { along, across, laneGap }: Metrics): readonly Pair[] {
  const isDown = to.across > from.across;
  const side = isDown ? from.along + along : from.along;
  const bulge = Math.min(laneGap * 0.4, 8 + Math.abs(to.across - from.across) * 0.09);
  const out = side + (isDown ? bulge : -bulge);
  const start = from.across + across * (isDown ? 0.75 : 0.25);
  const end = to.across + across * (isDown ? 0.25 : 0.75);
  return [
    [side, start],
    [out, start],
    [out, end],
    [side, end],
  ];
}
