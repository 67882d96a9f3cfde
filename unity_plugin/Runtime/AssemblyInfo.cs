using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("C2R.Universal")]
[assembly: InternalsVisibleTo("C2R.HighDefinition")]
[assembly: InternalsVisibleTo("C2R.Editor")]
[assembly: InternalsVisibleTo("C2R.Tests")]
