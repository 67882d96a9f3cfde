using System;
using System.Runtime.InteropServices;

namespace C2R.Interop
{
    /// <summary>
    /// The flat C interface of <c>c2r_client</c>. Only blittable arguments and no delegates: nothing
    /// here needs marshalling code or reverse calls, which IL2CPP would have to be told about.
    /// </summary>
    internal static unsafe class NativeMethods
    {
#if UNITY_IOS && !UNITY_EDITOR
        private const string Library = "__Internal";
#else
        private const string Library = "c2r_client";
#endif
        private const CallingConvention C = CallingConvention.Cdecl;

        [DllImport(Library, CallingConvention = C)]
        internal static extern uint c2r_abi_version();

        [DllImport(Library, CallingConvention = C)]
        internal static extern uint c2r_struct_size(int which);

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr c2r_version_text();

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr c2r_last_error();

        [DllImport(Library, CallingConvention = C)]
        internal static extern ulong c2r_now_us();

        [DllImport(Library, CallingConvention = C)]
        internal static extern void c2r_init_options(NativeOptions* options);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void c2r_init_session(NativeSession* session);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void c2r_init_frame(NativeFrame* frame);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void c2r_init_control(NativeControl* control);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_create(NativeOptions* options, IntPtr* client);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_open(IntPtr client, NativeSession* session);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_submit(IntPtr client, NativeFrame* frame);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_poll(IntPtr client, NativeResult* result);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_poll_event(IntPtr client, NativeEvent* happened);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_set_control(
            IntPtr client, NativeControl* control, ulong* controlId);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_report_shown(
            IntPtr client, ulong frameId, ulong captureTimeUs, double bufferMs);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_get_status(IntPtr client, NativeStatus* status);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_get_accepted(IntPtr client, NativeAccepted* accepted);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_get_stats(IntPtr client, NativeStats* stats);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_has_room(IntPtr client);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int c2r_close(IntPtr client, int discard, double timeoutS);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void c2r_destroy(IntPtr client);
    }
}
