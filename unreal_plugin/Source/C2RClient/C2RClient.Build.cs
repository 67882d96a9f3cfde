using System.IO;
using UnrealBuildTool;

// The native client, compiled as source. `make unreal` puts engine_bridge/native/src into
// Private/Core, its headers into Public, nanopb into Private/Nanopb and the messages generated from
// renderer.proto into Private/Messages. HTTP/2, TLS and JPEG are the engine's libraries, so that a
// process never holds two copies of them.
public class C2RClient : ModuleRules
{
	public C2RClient(ReadOnlyTargetRules Target) : base(Target)
	{
		string Core = Path.Combine(ModuleDirectory, "Private", "Core");
		if (!File.Exists(Path.Combine(Core, "c_interface.cpp")))
		{
			throw new BuildException("C2RClient lacks the native client's sources: run `make unreal` in the C2R repository and use the plugin that it writes to build/unreal/C2R");
		}

		// Each source is a separate translation unit and includes no engine header.
		bUseUnity = false;
		PCHUsage = PCHUsageMode.NoPCHs;
		bEnableExceptions = false;
		bUseRTTI = false;
#if UE_5_6_OR_LATER
		CppCompileWarningSettings.ShadowVariableWarningLevel = WarningLevel.Off;
		CppCompileWarningSettings.UndefinedIdentifierWarningLevel = WarningLevel.Off;
#elif UE_5_5_OR_LATER
		ShadowVariableWarningLevel = WarningLevel.Off;
		UndefinedIdentifierWarningLevel = WarningLevel.Off;
#else
		ShadowVariableWarningLevel = WarningLevel.Off;
		bEnableUndefinedIdentifierWarnings = false;
#endif

		PrivateDependencyModuleNames.Add("Core");
		PrivateIncludePaths.AddRange(new string[]
		{
			Core,
			Path.Combine(ModuleDirectory, "Private", "Messages"),
			Path.Combine(ModuleDirectory, "Private", "Nanopb"),
		});

		PrivateDefinitions.Add("C2R_BUILDING=1");
		PrivateDefinitions.Add("C2R_WITH_OPENSSL=1");
		PrivateDefinitions.Add("C2R_WITH_JPEG=1");
		if (Target.LinkType == TargetLinkType.Monolithic)
		{
			PublicDefinitions.Add("C2R_STATIC=1");
		}

		AddEngineThirdPartyPrivateStaticDependencies(Target, "OpenSSL", "nghttp2", "zlib", "LibJpegTurbo");
		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			PublicSystemLibraries.AddRange(new string[] { "ws2_32.lib", "crypt32.lib" });
		}
	}
}
