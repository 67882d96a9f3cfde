using System;
using System.Runtime.InteropServices;
using System.Text;

namespace C2R.Interop
{
    /// <summary>UTF-8 texts to and from the native client.</summary>
    internal static unsafe class NativeText
    {
        /// <summary>A text of at most <paramref name="most"/> bytes that ends with a zero.</summary>
        public static string Read(byte* text, int most)
        {
            int length = 0;
            while (length < most && text[length] != 0) length++;
            return length == 0 ? "" : Encoding.UTF8.GetString(text, length);
        }

        /// <summary>A text of the library's own.</summary>
        public static string Read(IntPtr text)
        {
            return text == IntPtr.Zero ? "" : Read((byte*)text, int.MaxValue);
        }

        /// <summary>Whether a stored text is the same, without making a string of it.</summary>
        public static bool Same(byte* text, byte[] other, int most)
        {
            for (int i = 0; i < most && i < other.Length; i++)
            {
                if (text[i] != other[i]) return false;
                if (text[i] == 0) return true;
            }
            return true;
        }
    }

    /// <summary>Texts that live in native memory while a call reads them; null and "" are NULL.</summary>
    internal sealed class NativeTexts : IDisposable
    {
        private readonly IntPtr[] _owned = new IntPtr[8];
        private int _count;

        /// <summary>A copy in UTF-8 with a zero at the end, freed with this object.</summary>
        public IntPtr Keep(string text)
        {
            if (string.IsNullOrEmpty(text)) return IntPtr.Zero;
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            IntPtr memory = Marshal.AllocHGlobal(bytes.Length + 1);
            Marshal.Copy(bytes, 0, memory, bytes.Length);
            Marshal.WriteByte(memory, bytes.Length, 0);
            _owned[_count++] = memory;
            return memory;
        }

        /// <summary>An empty text is kept as one, where NULL would mean "unchanged".</summary>
        public IntPtr KeepEven(string text)
        {
            if (text == null) return IntPtr.Zero;
            if (text.Length > 0) return Keep(text);
            IntPtr memory = Marshal.AllocHGlobal(1);
            Marshal.WriteByte(memory, 0);
            _owned[_count++] = memory;
            return memory;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            for (int i = 0; i < _count; i++) Marshal.FreeHGlobal(_owned[i]);
            _count = 0;
        }
    }
}
