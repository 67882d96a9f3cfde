using System;
using System.Runtime.ConstrainedExecution;
using System.Runtime.InteropServices;

namespace C2R.Interop
{
    /// <summary>
    /// Owns a <c>c2r_client</c>: destroyed by <c>Dispose</c>, else by the critical finaliser, which
    /// also runs when a domain is unloaded. Without it the I/O thread would outlive the domain, and
    /// each reload in the editor would leak a thread and a connection.
    /// </summary>
    internal sealed class ClientHandle : SafeHandle
    {
        private ClientHandle(IntPtr client) : base(IntPtr.Zero, true)
        {
            SetHandle(client);
        }

        /// <inheritdoc/>
        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        /// <summary>The client, for a call while this object is alive.</summary>
        public IntPtr Pointer
        {
            get { return handle; }
        }

        /// <summary>A new client; <c>NativeException</c> when the options are refused.</summary>
        public static unsafe ClientHandle Create(NativeOptions* options)
        {
            IntPtr client = IntPtr.Zero;
            NativeException.Require(NativeMethods.c2r_create(options, &client));
            return new ClientHandle(client);
        }

        /// <inheritdoc/>
        [ReliabilityContract(Consistency.WillNotCorruptState, Cer.MayFail)]
        protected override bool ReleaseHandle()
        {
            NativeMethods.c2r_destroy(handle);
            return true;
        }
    }

    /// <summary>A call of the native client was refused.</summary>
    internal sealed class NativeException : Exception
    {
        private NativeException(NativeCode code, string message) : base(message)
        {
            Code = code;
        }

        /// <summary>Why.</summary>
        public NativeCode Code { get; private set; }

        /// <summary>Throws when a returned code is an error.</summary>
        public static void Require(int code)
        {
            if (code >= 0) return;
            string text = NativeText.Read(NativeMethods.c2r_last_error());
            throw new NativeException((NativeCode)code, text);
        }
    }
}
