// node-gyp-build.d.ts: the part of node-gyp-build that load.ts uses; the package has no declarations of its own.
declare module 'node-gyp-build' {
  interface Tags {
    file: string;
    specificity: number;
    libc?: string;
  }
  const nodeGypBuild: {
    /** The file for this system below the package in `folder`. @throws Error when there is none */
    path(folder: string): string;
    /** What the name of a file says of it; undefined when it is no addon. */
    parseTags(file: string): Tags | undefined;
    /** Whether a file fits this process. */
    matchTags(runtime: string, abi: string): (tags: Tags) => boolean;
  };
  export default nodeGypBuild;
}
