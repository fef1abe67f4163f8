// node-gyp-build.d.ts: the part of node-gyp-build that binding.ts uses; the package has no declarations of its own.
declare module 'node-gyp-build' {
  const nodeGypBuild: {
    /** The file for this platform below the package in `folder`. @throws Error when there is none */
    resolve(folder: string): string;
  };
  export default nodeGypBuild;
}
