# binding.gyp: the addon by node-gyp, for those who compile the package themselves; cmake-js (CMakeLists.txt) is what the
# repository uses. The list of sources is the same file for both, and the flags must be the same as well.
# Needs no exceptions and no RTTI; shows the dynamic linker what native/exports.map names, and is never unmapped.
{
  'includes': ['native/sources.gypi'],
  'targets': [
    {
      'target_name': 'tofu_ampe',
      'sources': ['<@(core)', '<@(addon)'],
      'include_dirs': ['native', "<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_DISABLE_CPP_EXCEPTIONS',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
        'NDEBUG',
        'TOFU_VERSION="<!(node scripts/build-identity.cjs version)"',
        'TOFU_SOURCES_HASH="<!(node scripts/build-identity.cjs hash)"',
      ],
      'cflags': ['-fvisibility=hidden', '-fPIC', '-Wall', '-Wextra'],
      'cflags!': ['-O3'],
      'cflags_cc': ['-std=c++17', '-O2', '-fno-exceptions', '-fno-rtti', '-fvisibility-inlines-hidden'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-std=gnu++1y'],
      'conditions': [
        ['OS=="linux"', {'sources': ['<@(core_linux)']}],
        ['OS=="mac" or OS=="freebsd" or OS=="openbsd" or OS=="netbsd"', {'sources': ['<@(core_bsd)']}],
        ['OS=="mac"', {
          'xcode_settings': {
            'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
            'CLANG_CXX_LIBRARY': 'libc++',
            'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
            'GCC_ENABLE_CPP_RTTI': 'NO',
            'GCC_OPTIMIZATION_LEVEL': '2',
            'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
            'MACOSX_DEPLOYMENT_TARGET': '11.0',
            'OTHER_LDFLAGS': ['-Wl,-exported_symbols_list,<(module_root_dir)/native/exports.darwin.txt'],
          },
        }, {
          'libraries': ['-pthread'],
          'ldflags': ['-Wl,-z,nodelete', '-Wl,--version-script=<(module_root_dir)/native/exports.map'],
        }],
      ],
    },
  ],
}
