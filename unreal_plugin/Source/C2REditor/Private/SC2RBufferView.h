// The buffer view: coarse colour, depth and motion as they are sent, and the rendered picture.
#pragma once

#include "CoreMinimal.h"
#include "Styling/SlateBrush.h"
#include "UObject/StrongObjectPtr.h"
#include "Widgets/SCompoundWidget.h"

class FActiveTimerHandle;
class UC2RSubsystem;
class UTexture2D;

/** Shows the first game that is played in the editor, five times per second. */
class SC2RBufferView : public SCompoundWidget
{
public:
	SLATE_BEGIN_ARGS(SC2RBufferView) {}
	SLATE_END_ARGS()

	void Construct(const FArguments& InArgs);
	virtual ~SC2RBufferView() override;

private:
	enum EBuffer
	{
		Colour,
		Depth,
		Motion,
		Picture,
		Count
	};

	EActiveTimerReturnType Refresh(double Time, float DeltaSeconds);
	void Update(UC2RSubsystem* Subsystem);
	void Upload(EBuffer Buffer, FIntPoint Size, const TArray<uint8>& Pixels);
	FText GetLine() const;

	FSlateBrush Brushes[Count];
	TStrongObjectPtr<UTexture2D> Textures[Count];
	TWeakObjectPtr<UC2RSubsystem> Seen;
	uint64 LastFrameId = 0;
	FText Line;
};
