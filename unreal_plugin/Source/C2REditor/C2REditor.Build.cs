using UnrealBuildTool;

// The buffer view. The settings page needs no code here: it comes with UC2RSettings.
public class C2REditor : ModuleRules
{
	public C2REditor(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;

		PrivateDependencyModuleNames.AddRange(new string[]
		{
			"C2RRuntime",
			"Core",
			"CoreUObject",
			"Engine",
			"InputCore",
			"Slate",
			"SlateCore",
			"UnrealEd",
			"WorkspaceMenuStructure",
		});
	}
}
