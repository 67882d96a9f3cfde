// Registers the plugin's shader directory.
#include "C2RLog.h"
#include "Interfaces/IPluginManager.h"
#include "Misc/Paths.h"
#include "Modules/ModuleManager.h"
#include "ShaderCore.h"

DEFINE_LOG_CATEGORY(LogC2R);

class FC2RRuntimeModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		const TSharedPtr<IPlugin> Plugin = IPluginManager::Get().FindPlugin(TEXT("C2R"));
		checkf(Plugin.IsValid(), TEXT("the plugin must be named C2R"));
		AddShaderSourceDirectoryMapping(TEXT("/Plugin/C2R"), FPaths::Combine(Plugin->GetBaseDir(), TEXT("Shaders")));
	}
};

IMPLEMENT_MODULE(FC2RRuntimeModule, C2RRuntime)
