using System;

namespace C2R.Interop
{
    /// <summary>Compares the library with what this assembly was written for, once per domain.</summary>
    internal static unsafe class NativeLibraryCheck
    {
        /// <summary>The interface that the structures here belong to.</summary>
        public const uint AbiVersion = 1;

        private const string Install =
            "build it (make native) and put it into Assets/Plugins/x86_64, "
            + "or use Tools > C2R > Install Native Library";

        private static string _fault;
        private static bool _checked;

        /// <summary>Null when the library can be used; else what is wrong and what to do.</summary>
        public static string Fault
        {
            get
            {
                if (!_checked)
                {
                    _fault = Check();
                    _checked = _fault == null;
                }
                return _fault;
            }
        }

        /// <summary>Name, version and built-in parts of the library.</summary>
        public static string VersionText
        {
            get { return NativeText.Read(NativeMethods.c2r_version_text()); }
        }

        private static string Check()
        {
            try
            {
                return CheckVersion() ?? CheckSizes();
            }
            catch (DllNotFoundException)
            {
                return "the native library c2r_client is missing; " + Install;
            }
            catch (EntryPointNotFoundException error)
            {
                return "the native library c2r_client is another one (" + error.Message + "); " + Install;
            }
            catch (BadImageFormatException)
            {
                return "the native library c2r_client is for another processor; " + Install;
            }
        }

        private static string CheckVersion()
        {
            uint version = NativeMethods.c2r_abi_version();
            return version == AbiVersion
                ? null
                : "the native library has interface " + version + ", this plugin " + AbiVersion
                  + "; take both from one version";
        }

        private static string CheckSizes()
        {
            return Compare(NativeStruct.Options, sizeof(NativeOptions))
                   ?? Compare(NativeStruct.Session, sizeof(NativeSession))
                   ?? Compare(NativeStruct.Frame, sizeof(NativeFrame))
                   ?? Compare(NativeStruct.Result, sizeof(NativeResult))
                   ?? Compare(NativeStruct.Control, sizeof(NativeControl))
                   ?? Compare(NativeStruct.Event, sizeof(NativeEvent))
                   ?? Compare(NativeStruct.Status, sizeof(NativeStatus))
                   ?? Compare(NativeStruct.Accepted, sizeof(NativeAccepted))
                   ?? Compare(NativeStruct.Stats, sizeof(NativeStats))
                   ?? Compare(NativeStruct.Image, sizeof(NativeImage))
                   ?? Compare(NativeStruct.Camera, sizeof(NativeCamera))
                   ?? Compare(NativeStruct.Stages, sizeof(NativeStages));
        }

        private static string Compare(NativeStruct which, int ours)
        {
            uint theirs = NativeMethods.c2r_struct_size((int)which);
            return theirs == ours
                ? null
                : "the native library's " + which + " has " + theirs + " bytes, this plugin's "
                  + ours + "; take both from one version";
        }
    }
}
