// Objects, components and their life: what Unity's engine does with them, as far as it matters here.
using System;
using System.Collections.Generic;
using System.Reflection;
using UnityEngine.Headless;

namespace UnityEngine
{
    [Flags]
    public enum HideFlags { None = 0, HideInHierarchy = 1, DontSave = 52, HideAndDontSave = 61 }
    public enum PrimitiveType { Sphere, Capsule, Cylinder, Cube, Plane, Quad }

    public class Object
    {
        internal bool Destroyed;
        public string name { get; set; }
        public HideFlags hideFlags { get; set; }
        public static bool operator ==(Object a, Object b)
        {
            bool noA = ReferenceEquals(a, null) || a.Destroyed, noB = ReferenceEquals(b, null) || b.Destroyed;
            return noA || noB ? noA && noB : ReferenceEquals(a, b);
        }
        public static bool operator !=(Object a, Object b) { return !(a == b); }
        public static implicit operator bool(Object one) { return one != null; }
        public override bool Equals(object other) { return ReferenceEquals(this, other); }
        public override int GetHashCode() { return base.GetHashCode(); }
        public static void Destroy(Object one)
        {
            if (one == null) return;
            one.OnDestroyed();
            one.Destroyed = true;
        }
        public static void DestroyImmediate(Object one) { Destroy(one); }
        public static void DontDestroyOnLoad(Object one) { }
        public static T FindFirstObjectByType<T>() where T : Object { return null; }
        public static T FindObjectOfType<T>() where T : Object { return Player.Find<T>(); }
        internal virtual void OnDestroyed() { }
    }

    public class Component : Object
    {
        public GameObject gameObject { get; internal set; }
        public Transform transform { get { return gameObject.transform; } }
        public T GetComponent<T>() where T : class { return gameObject.GetComponent<T>(); }
    }

    public class Transform : Component
    {
        public Vector3 position { get; set; }
        public Vector3 localPosition { get; set; }
        public Vector3 localScale { get; set; }
        public Quaternion rotation { get; set; }
        public Quaternion localRotation { get; set; }
        public Vector3 forward { get { return Vector3.forward; } }
        public void SetParent(Transform parent, bool stays) { }
        public void LookAt(Vector3 at) { }
    }

    public class Behaviour : Component
    {
        private bool _enabled = true;
        public bool enabled
        {
            get { return _enabled; }
            set
            {
                if (_enabled == value) return;
                _enabled = value;
                Player.Send(this, value ? "OnEnable" : "OnDisable");
            }
        }
        public bool isActiveAndEnabled { get { return _enabled && this != null; } }
        internal override void OnDestroyed() { enabled = false; }
    }

    public class MonoBehaviour : Behaviour { }

    public sealed class GameObject : Object
    {
        internal readonly List<Component> Components = new List<Component>();
        public GameObject() : this("object") { }
        public GameObject(string name, params Type[] types)
        {
            this.name = name;
            transform = (Transform)Add(typeof(Transform));
            Player.Objects.Add(this);
            foreach (Type type in types) Add(type);
        }
        public Transform transform { get; private set; }
        public string tag { get; set; }
        public T AddComponent<T>() where T : Component { return (T)Add(typeof(T)); }
        public T GetComponent<T>() where T : class
        {
            foreach (Component one in Components)
            {
                var component = one as T;
                if (component != null && one != null) return component;
            }
            return null;
        }
        public static GameObject CreatePrimitive(PrimitiveType type)
        {
            var primitive = new GameObject(type.ToString());
            primitive.AddComponent<MeshRenderer>();
            primitive.AddComponent<Collider>();
            return primitive;
        }
        public void SetActive(bool active) { foreach (Behaviour one in Parts<Behaviour>()) one.enabled = active; }
        internal override void OnDestroyed()
        {
            foreach (Component one in Components.ToArray()) Destroy(one);
            Player.Objects.Remove(this);
        }
        internal IEnumerable<T> Parts<T>() where T : class
        {
            foreach (Component one in Components.ToArray())
            {
                var part = one as T;
                if (part != null && one != null) yield return part;
            }
        }
        private Component Add(Type type)
        {
            foreach (RequireComponent needed in type.GetCustomAttributes(typeof(RequireComponent), true))
            {
                bool there = Components.Exists(one => needed.m_Type0.IsInstanceOfType(one));
                if (!there) Add(needed.m_Type0);
            }
            var component = (Component)Activator.CreateInstance(type);
            component.gameObject = this;
            Components.Add(component);
            Player.Send(component, "Awake");
            Player.Send(component, "OnEnable");
            return component;
        }
    }

    public class Collider : Component { }
    public class Renderer : Component
    {
        public Material material { get; set; }
        public Material sharedMaterial { get; set; }
    }
    public class MeshRenderer : Renderer { }
    public enum LightType { Spot, Directional, Point }
    public enum LightShadows { None, Hard, Soft }
    public class Light : Behaviour
    {
        public LightType type { get; set; }
        public Color color { get; set; }
        public float intensity { get; set; }
        public LightShadows shadows { get; set; }
    }
    public enum CameraClearFlags { Skybox = 1, SolidColor = 2 }
    public enum CameraType { Game = 1, SceneView = 2, Preview = 4, VR = 8, Reflection = 16 }
    [Flags]
    public enum DepthTextureMode { None = 0, Depth = 1, DepthNormals = 2, MotionVectors = 4 }

    public sealed class Camera : Behaviour
    {
        public Camera()
        {
            nearClipPlane = 0.3f;
            farClipPlane = 250f;
            nonJitteredProjectionMatrix = worldToCameraMatrix = Matrix4x4.identity;
        }
        public float nearClipPlane { get; set; }
        public float farClipPlane { get; set; }
        public float fieldOfView { get; set; }
        public bool orthographic { get; set; }
        public CameraType cameraType { get { return CameraType.Game; } }
        public CameraClearFlags clearFlags { get; set; }
        public Color backgroundColor { get; set; }
        public DepthTextureMode depthTextureMode { get; set; }
        public Matrix4x4 nonJitteredProjectionMatrix { get; set; }
        public Matrix4x4 projectionMatrix { get { return nonJitteredProjectionMatrix; } }
        public Matrix4x4 worldToCameraMatrix { get; set; }
        public static Camera main { get { return Player.Find<Camera>(); } }
    }

    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public sealed class RequireComponent : Attribute
    {
        public Type m_Type0;
        public RequireComponent(Type needed) { m_Type0 = needed; }
    }
    public sealed class AddComponentMenu : Attribute { public AddComponentMenu(string path) { } }
    public sealed class DisallowMultipleComponent : Attribute { }
    public sealed class SerializeField : Attribute { }
    public sealed class TooltipAttribute : Attribute { public TooltipAttribute(string text) { } }
    public sealed class HeaderAttribute : Attribute { public HeaderAttribute(string text) { } }
    public sealed class TextAreaAttribute : Attribute { public TextAreaAttribute(int least, int most) { } }
    public sealed class RangeAttribute : Attribute { public RangeAttribute(float least, float most) { } }
    public enum RuntimeInitializeLoadType { AfterSceneLoad, BeforeSceneLoad, SubsystemRegistration = 4 }
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute
    {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType when) { }
    }

    public static class Debug
    {
        public static void Log(object said) { Console.Error.WriteLine(said); }
        public static void LogWarning(object said) { Console.Error.WriteLine(said); }
        public static void LogError(object said) { Console.Error.WriteLine(said); }
    }

    public static class Application
    {
        public static bool isPlaying { get { return true; } }
        public static string dataPath { get { return "Assets"; } }
    }

    public static class Time
    {
        private static readonly System.Diagnostics.Stopwatch Watch = System.Diagnostics.Stopwatch.StartNew();
        public static double realtimeSinceStartupAsDouble { get { return Watch.Elapsed.TotalSeconds; } }
        public static float time { get { return (float)Watch.Elapsed.TotalSeconds; } }
        public static double timeAsDouble { get { return frameCount / 60.0; } }
        public static float deltaTime { get { return 1f / 60f; } }
        public static int frameCount { get; internal set; }
    }

    public enum KeyCode { R, Space, H }
    public enum EventType { KeyDown, Repaint }
    public sealed class Event
    {
        public static Event current { get { return new Event(); } }
        public EventType type { get { return EventType.Repaint; } }
        public KeyCode keyCode { get { return KeyCode.R; } }
    }
    public static class Random
    {
        public static void InitState(int seed) { }
        public static float Range(float least, float most) { return least; }
        public static int Range(int least, int below) { return least; }
        public static float value { get { return 0.5f; } }
    }
    public enum AmbientMode { Skybox = 0, Flat = 3 }
    public static class RenderSettings
    {
        public static Color ambientLight { get; set; }
    }
    public static class GUI
    {
        public static Color color { get; set; }
        public static void Label(Rect where, string text) { }
        public static void Box(Rect where, string text) { }
    }
    public class GUIStyle { }
    public class GUIContent { public GUIContent(string text) { } }
    public static class Screen
    {
        public static int width { get { return 256; } }
        public static int height { get { return 144; } }
    }
}

namespace UnityEngine.SceneManagement
{
    public enum LoadSceneMode { Single, Additive }
    public struct Scene { public string name { get { return "scene"; } } }
    public static class SceneManager
    {
        public static event Action<Scene, LoadSceneMode> sceneLoaded;
        internal static void Load() { if (sceneLoaded != null) sceneLoaded(new Scene(), LoadSceneMode.Single); }
        internal static int Listeners { get { return sceneLoaded == null ? 0 : sceneLoaded.GetInvocationList().Length; } }
    }
}
