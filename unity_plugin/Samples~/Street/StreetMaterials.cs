using System;
using UnityEngine;
using UnityEngine.Rendering;
using Object = UnityEngine.Object;

namespace C2R.Samples
{
    /// <summary>Materials of flat colours for the street, for the project's pipeline.</summary>
    internal sealed class StreetMaterials : IDisposable
    {
        private readonly Material[] _walls =
        {
            Make(0.76f, 0.42f, 0.34f), Make(0.85f, 0.74f, 0.55f), Make(0.55f, 0.62f, 0.70f),
            Make(0.70f, 0.70f, 0.66f), Make(0.48f, 0.56f, 0.44f)
        };

        public readonly Material Grass = Make(0.36f, 0.55f, 0.28f);
        public readonly Material Road = Make(0.24f, 0.24f, 0.26f);
        public readonly Material Pavement = Make(0.62f, 0.61f, 0.58f);
        public readonly Material Line = Make(0.92f, 0.92f, 0.88f);
        public readonly Material Roof = Make(0.30f, 0.22f, 0.20f);
        public readonly Material Glass = Make(0.35f, 0.48f, 0.60f);
        public readonly Material Trunk = Make(0.36f, 0.26f, 0.18f);
        public readonly Material Leaves = Make(0.25f, 0.45f, 0.20f);
        public readonly Material Skin = Make(0.80f, 0.60f, 0.48f);

        /// <summary>One of the walls' colours.</summary>
        public Material Wall(int index)
        {
            return _walls[index % _walls.Length];
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            foreach (Material one in _walls) Object.Destroy(one);
            foreach (Material one in new[] { Grass, Road, Pavement, Line, Roof, Glass, Trunk, Leaves, Skin })
                Object.Destroy(one);
        }

        private static Material Make(float red, float green, float blue)
        {
            RenderPipelineAsset pipeline = GraphicsSettings.currentRenderPipeline;
            Shader shader = pipeline != null ? pipeline.defaultShader : Shader.Find("Standard");
            var material = new Material(shader);
            // The built-in pipeline's name for it, and the scriptable ones'.
            foreach (string name in new[] { "_Color", "_BaseColor" })
            {
                if (material.HasProperty(name)) material.SetColor(name, new Color(red, green, blue));
            }
            return material;
        }
    }
}
