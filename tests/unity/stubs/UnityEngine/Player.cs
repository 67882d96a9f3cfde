// The player's loop, for a program that plays Unity: frames, messages to behaviours, scenes.
using System;
using System.Collections.Generic;
using System.Reflection;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Rendering;
using UnityEngine.SceneManagement;

namespace UnityEngine.Headless
{
    public delegate void Drawing(int pass, Func<string, Vector4> value, Func<string, Texture> texture, RenderTexture target);

    public static class Player
    {
        /// <summary>The package's folder.</summary>
        public static string Package = ".";

        /// <summary>Whether the graphics card can do what the plugin needs.</summary>
        public static bool ReadsBack = true;

        /// <summary>What a camera draws: fills the texture with linear light, bottom row first.</summary>
        public static Action<RenderTexture> Scene;

        /// <summary>What the screen shows: the texture that was blitted last.</summary>
        public static Texture OnScreen;

        /// <summary>What shaders do, by the name that they are loaded under.</summary>
        public static readonly Dictionary<string, Drawing> Shaders = new Dictionary<string, Drawing>();

        internal static readonly List<GameObject> Objects = new List<GameObject>();
        private static RenderTexture _drawn;

        /// <summary>One frame of a game that draws nothing.</summary>
        public static void Tick()
        {
            Time.frameCount++;
            AsyncGPUReadback.Finish(Time.frameCount);
            Each("Update");
            Each("LateUpdate");
        }

        /// <summary>One frame of a game with the built-in pipeline.</summary>
        public static void Frame(int width, int height)
        {
            Tick();
            Each("OnPreCull");
            if (_drawn == null || _drawn.width != width || _drawn.height != height)
                _drawn = new RenderTexture(width, height, 24, GraphicsFormat.R32G32B32A32_SFloat);
            Scene(_drawn);
            OnScreen = _drawn;
            Each("OnRenderImage", _drawn, null);
        }

        /// <summary>Another scene is loaded in place of this one: its objects go.</summary>
        public static void LoadScene(bool keepObjects)
        {
            if (!keepObjects) foreach (GameObject one in Objects.ToArray()) Object.Destroy(one);
            SceneManager.Load();
        }

        /// <summary>As before a domain is unloaded: everything is disabled.</summary>
        public static void DisableAll()
        {
            foreach (GameObject one in Objects.ToArray())
                foreach (MonoBehaviour part in one.Parts<MonoBehaviour>()) part.enabled = false;
        }

        /// <summary>What is still held: textures, materials, arrays, listeners.</summary>
        public static int Held
        {
            get
            {
                int own = _drawn == null ? 0 : 1;
                return Texture.Live + Material.Live + Unity.Collections.NativeArray<byte>.Live + SceneManager.Listeners - own;
            }
        }

        internal static T Find<T>() where T : Object
        {
            foreach (GameObject one in Objects)
                foreach (Component part in one.Parts<Component>())
                    if (part is T) return (T)(Object)part;
            return null;
        }

        /// <summary>Calls a behaviour's own method, public or not, where it has one.</summary>
        public static void Send(Component to, string message, params object[] with)
        {
            MethodInfo method = to.GetType().GetMethod(
                message, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
            if (method != null && to is MonoBehaviour) method.Invoke(to, with);
        }

        internal static void Draw(string shader, int pass, MaterialPropertyBlock block, Texture target)
        {
            Func<string, Vector4> value = name => block.Values[Shader.PropertyToID(name)];
            Func<string, Texture> texture = name => Shader.Globals[Shader.PropertyToID(name)];
            Shaders[shader](pass, value, texture, (RenderTexture)target);
        }

        private static void Each(string message, params object[] with)
        {
            foreach (GameObject one in Objects.ToArray())
                foreach (MonoBehaviour part in one.Parts<MonoBehaviour>())
                    if (part.enabled) Send(part, message, with);
        }
    }
}
