#include "C2ROverlay.h"

#include "C2RConsole.h"
#include "C2RSubsystem.h"
#include "Debug/DebugDrawService.h"
#include "Engine/Canvas.h"
#include "Engine/Engine.h"
#include "Engine/GameInstance.h"
#include "GameFramework/PlayerController.h"

FString C2ROverlayText(const UC2RSubsystem& Subsystem)
{
	const FC2RStatus Status = Subsystem.GetStatus();
	const TCHAR* Shown = Subsystem.IsShowingPicture() ? TEXT("picture") : TEXT("coarse frame");
	if (Status.State != EC2RState::Streaming)
	{
		return FString::Printf(TEXT("C2R: %s. Showing the %s"), *Status.Text, Shown);
	}
	const FC2RStatistics Now = Subsystem.GetStatistics();
	return FString::Printf(TEXT("C2R: %.1f pictures/s, %.0f ms. Showing the %s"), Now.PicturesPerSecond, Now.MedianLatencyMs, Shown);
}

FDelegateHandle C2RRegisterOverlay(UC2RSubsystem* Subsystem)
{
	const TWeakObjectPtr<UC2RSubsystem> Weak(Subsystem);
	return UDebugDrawService::Register(TEXT("Game"), FDebugDrawDelegate::CreateLambda([Weak](UCanvas* Canvas, APlayerController*)
	{
		const UC2RSubsystem* Strong = Weak.Get();
		if (Strong == nullptr || Canvas == nullptr || !C2RConsole::IsOverlayWanted())
		{
			return;
		}
		Canvas->SetDrawColor(255, 255, 255, 255);
		Canvas->DrawText(GEngine->GetSmallFont(), C2ROverlayText(*Strong), 16.0f, 16.0f);
	}));
}

void C2RUnregisterOverlay(FDelegateHandle Handle)
{
	UDebugDrawService::Unregister(Handle);
}
