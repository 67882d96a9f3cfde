// Tools > C2R Buffers.
#include "Framework/Docking/TabManager.h"
#include "Modules/ModuleManager.h"
#include "SC2RBufferView.h"
#include "Widgets/Docking/SDockTab.h"
#include "WorkspaceMenuStructure.h"
#include "WorkspaceMenuStructureModule.h"

#define LOCTEXT_NAMESPACE "C2REditor"

namespace
{
const FName BufferTab(TEXT("C2RBuffers"));

TSharedRef<SDockTab> MakeBufferTab(const FSpawnTabArgs& Arguments)
{
	return SNew(SDockTab).TabRole(ETabRole::NomadTab)
	[
		SNew(SC2RBufferView)
	];
}
}

class FC2REditorModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		FGlobalTabmanager::Get()->RegisterNomadTabSpawner(BufferTab, FOnSpawnTab::CreateStatic(&MakeBufferTab))
			.SetDisplayName(LOCTEXT("Title", "C2R Buffers"))
			.SetTooltipText(LOCTEXT("Tooltip", "The captured buffers and the rendered picture."))
			.SetGroup(WorkspaceMenu::GetMenuStructure().GetToolsCategory());
	}

	virtual void ShutdownModule() override
	{
		FGlobalTabmanager::Get()->UnregisterNomadTabSpawner(BufferTab);
	}
};

#undef LOCTEXT_NAMESPACE

IMPLEMENT_MODULE(FC2REditorModule, C2REditor)
