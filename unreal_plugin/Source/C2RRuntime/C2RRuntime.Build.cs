using UnrealBuildTool;

// Capture, conversion, session and presentation. Loaded at PostConfigInit, since global shaders
// must be known before the engine compiles its shader maps.
public class C2RRuntime : ModuleRules
{
	public C2RRuntime(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;

		PublicDependencyModuleNames.AddRange(new string[]
		{
			"Core",
			"CoreUObject",
			"DeveloperSettings",
			"Engine",
		});
		PrivateDependencyModuleNames.AddRange(new string[]
		{
			"C2RClient",
			"Projects",
			"RenderCore",
			"Renderer",
			"RHI",
		});
	}
}
