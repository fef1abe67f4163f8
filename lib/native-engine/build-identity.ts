// build-identity.ts: which native sources this package was built with.
// Null here, in the sources, where scripts/ensure-native.mjs sees to it that the addon is fresh; the build of dist/ puts in the
// version and the hash (scripts/ensure-build.mjs), and a binary that carries others is refused.

/** The `build` of an addon: what it was made from. */
export interface BuildIdentity {
  readonly version: string;
  readonly sourcesHash: string;
}

export const BUILD_IDENTITY: BuildIdentity | null = null;
