using UnityEngine;
using UnityEngine.Rendering;

namespace C2R.Internal
{
    /// <summary>Where a pipeline has the depth or motion of the frame that it drew.</summary>
    internal enum SourceKind
    {
        /// <summary>Nowhere.</summary>
        Missing,

        /// <summary>In the texture that is given.</summary>
        Given,

        /// <summary>In the texture that it publishes by name.</summary>
        ByName
    }

    /// <summary>The drawn frame, as a pipeline has it at the end of a camera's rendering.</summary>
    internal struct CaptureSources
    {
        public RenderTargetIdentifier Colour;
        public RenderTargetIdentifier Depth;
        public RenderTargetIdentifier Motion;
        public SourceKind DepthKind;
        public SourceKind MotionKind;

        /// <summary>The textures are arrays of one slice, as HDRP's are.</summary>
        public bool Arrays;

        /// <summary>The part of the textures that was drawn to; (1, 1) is all.</summary>
        public Vector2 Scale;

        /// <summary>The same part in pixels of the colour; (0, 0) is all.</summary>
        public Vector2Int Viewport;

        /// <summary>Motion comes under the built-in pipeline's name.</summary>
        public bool BuiltIn;
    }
}
