// Logs the version of the native client, and refuses one whose structures differ from the headers'.
#include "CoreMinimal.h"
#include "Modules/ModuleManager.h"

#include "c2r_client.h"

DEFINE_LOG_CATEGORY_STATIC(LogC2RClient, Log, All);

class FC2RClientModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		const bool bSame = c2r_abi_version() == C2R_ABI_VERSION &&
			c2r_struct_size(C2R_STRUCT_FRAME) == sizeof(c2r_frame) &&
			c2r_struct_size(C2R_STRUCT_RESULT) == sizeof(c2r_result);
		if (!bSame)
		{
			UE_LOG(LogC2RClient, Fatal, TEXT("c2r_client.h and the native sources are of different versions: run make unreal again"));
		}
		UE_LOG(LogC2RClient, Log, TEXT("%s"), UTF8_TO_TCHAR(c2r_version_text()));
	}
};

IMPLEMENT_MODULE(FC2RClientModule, C2RClient)
