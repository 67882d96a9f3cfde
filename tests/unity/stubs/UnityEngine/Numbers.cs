// What the plugin uses of UnityEngine's numbers, with Unity's names and meanings.
using System;

namespace UnityEngine
{
    public static class Mathf
    {
        public const float PI = (float)Math.PI;
        public const float Deg2Rad = PI / 180f;
        public static float Abs(float value) { return Math.Abs(value); }
        public static float Pow(float value, float power) { return (float)Math.Pow(value, power); }
        public static float Sqrt(float value) { return (float)Math.Sqrt(value); }
        public static float Sin(float value) { return (float)Math.Sin(value); }
        public static float Cos(float value) { return (float)Math.Cos(value); }
        public static float Min(float a, float b) { return Math.Min(a, b); }
        public static float Max(float a, float b) { return Math.Max(a, b); }
        public static int Max(int a, int b) { return Math.Max(a, b); }
        public static float Repeat(float t, float length) { return t - (float)Math.Floor(t / length) * length; }
        public static float Clamp01(float value) { return value > 1f ? 1f : value > 0f ? value : 0f; }
        public static float Lerp(float a, float b, float t) { return a + (b - a) * Clamp01(t); }

        // Round to nearest even, as graphics cards do.
        public static ushort FloatToHalf(float value)
        {
            uint bits = BitConverter.ToUInt32(BitConverter.GetBytes(value), 0);
            uint sign = (bits >> 16) & 0x8000;
            uint rest = bits & 0x7FFFFFFF;
            if (rest > 0x7F800000) return (ushort)(sign | 0x7E00);
            if (rest >= 0x47800000) return (ushort)(sign | 0x7C00);
            if (rest < 0x38800000)
            {
                float scaled = BitConverter.ToSingle(BitConverter.GetBytes(rest), 0) * 16777216f;
                return (ushort)(sign | (uint)Math.Round(scaled, MidpointRounding.ToEven));
            }
            uint rounded = rest + 0xFFF + ((rest >> 13) & 1);
            return (ushort)(sign | ((rounded - 0x38000000) >> 13));
        }
    }

    public struct Vector2
    {
        public float x, y;
        public Vector2(float x, float y) { this.x = x; this.y = y; }
        public static Vector2 one { get { return new Vector2(1, 1); } }
        public static Vector2 zero { get { return new Vector2(0, 0); } }
    }

    [Serializable]
    public struct Vector2Int : IEquatable<Vector2Int>
    {
        public Vector2Int(int x, int y) { this.x = x; this.y = y; }
        public int x, y;
        public static bool operator ==(Vector2Int a, Vector2Int b) { return a.x == b.x && a.y == b.y; }
        public static bool operator !=(Vector2Int a, Vector2Int b) { return !(a == b); }
        public bool Equals(Vector2Int other) { return this == other; }
        public override bool Equals(object other) { return other is Vector2Int && this == (Vector2Int)other; }
        public override int GetHashCode() { return x * 31 + y; }
    }

    public struct Vector3
    {
        public float x, y, z;
        public Vector3(float x, float y, float z) { this.x = x; this.y = y; this.z = z; }
        public float magnitude { get { return Mathf.Sqrt(x * x + y * y + z * z); } }
        public static Vector3 zero { get { return new Vector3(0, 0, 0); } }
        public static Vector3 one { get { return new Vector3(1, 1, 1); } }
        public static Vector3 up { get { return new Vector3(0, 1, 0); } }
        public static Vector3 forward { get { return new Vector3(0, 0, 1); } }
        public static Vector3 right { get { return new Vector3(1, 0, 0); } }
        public static Vector3 operator +(Vector3 a, Vector3 b) { return new Vector3(a.x + b.x, a.y + b.y, a.z + b.z); }
        public static Vector3 operator -(Vector3 a, Vector3 b) { return new Vector3(a.x - b.x, a.y - b.y, a.z - b.z); }
        public static Vector3 operator *(Vector3 a, float by) { return new Vector3(a.x * by, a.y * by, a.z * by); }
        public static Vector3 Lerp(Vector3 a, Vector3 b, float t) { return a + (b - a) * Mathf.Clamp01(t); }
    }

    public struct Vector4
    {
        public float x, y, z, w;
        public Vector4(float x, float y, float z, float w) { this.x = x; this.y = y; this.z = z; this.w = w; }
        public static implicit operator Vector4(Vector2 v) { return new Vector4(v.x, v.y, 0, 0); }
    }

    public struct Quaternion
    {
        public float x, y, z, w;
        public static Quaternion identity { get { return new Quaternion { w = 1 }; } }
        public static Quaternion Euler(float x, float y, float z) { return identity; }
        public static Quaternion LookRotation(Vector3 forward) { return identity; }
        public static Vector3 operator *(Quaternion turn, Vector3 v) { return v; }
    }

    public struct Color
    {
        public float r, g, b, a;
        public Color(float r, float g, float b, float a = 1f) { this.r = r; this.g = g; this.b = b; this.a = a; }
        public static Color white { get { return new Color(1, 1, 1); } }
        public static Color black { get { return new Color(0, 0, 0); } }
        public static Color red { get { return new Color(1, 0, 0); } }
    }

    public struct Rect
    {
        public float x, y, width, height;
        public Rect(float x, float y, float width, float height)
        {
            this.x = x;
            this.y = y;
            this.width = width;
            this.height = height;
        }
    }

    // Column vectors; this[row, column].
    public struct Matrix4x4
    {
        public float m00, m10, m20, m30, m01, m11, m21, m31, m02, m12, m22, m32, m03, m13, m23, m33;

        public static Matrix4x4 identity
        {
            get
            {
                var unit = new Matrix4x4();
                for (int i = 0; i < 4; i++) unit[i, i] = 1;
                return unit;
            }
        }

        public unsafe float this[int row, int column]
        {
            get
            {
                fixed (float* first = &m00) return first[row + 4 * column];
            }
            set
            {
                fixed (float* first = &m00) first[row + 4 * column] = value;
            }
        }
    }
}
